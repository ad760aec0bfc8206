return require "coutil.native.mutex"
