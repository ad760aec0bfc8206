return require "coutil.native.event"
