return require "coutil.native.promise"
