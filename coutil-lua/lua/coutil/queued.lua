return require "coutil.native.queued"
