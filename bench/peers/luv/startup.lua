require "luv"
