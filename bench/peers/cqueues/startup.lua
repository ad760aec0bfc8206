require "cqueues"
