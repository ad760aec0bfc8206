-- For lack of descriptors from the first use on: the loop has no poller. What needs one fails, and works as soon as there is one.
-- (Descriptors that run out later are in loop.rs and in the tests of files and processes.)

local T = require "testing"
local S = require "scarcity_testing"

local prefix = T.interpreter() and S.prefix() and ""
local reason = "no interpreter to start, or no limit of its descriptors"

local function test(title, text)
  T.test_if(prefix, reason, title, function ()
    local out, status = S.child(prefix, text .. "\nprint 'END'")
    T.eq(out, "END\n")
    T.eq(status, 0)
  end)
end

-- What a state does without descriptors, and with them again; its loop has not been used. It returns two functions.
local body = [==[
local path = ...
local system, channel, event = require "coutil.system", require "coutil.channel", require "coutil.event"
local memory = require "coutil.memory"
local unpack = table.unpack or unpack
local raised

local function start(f, ...)
  local w = {}
  local args = { n = select("#", ...), ... }
  w.co = coroutine.create(function () w.got = { f(unpack(args, 1, args.n)) } end)
  local ok, err = coroutine.resume(w.co)
  if not ok then error(err, 2) end
  return w
end
local function finish(w)
  while not w.got and coroutine.status(w.co) == "suspended" do system.run "step" end
  return unpack(w.got or {}, 1, 3)
end
local function await(...) return finish(start(...)) end
local function lacks(f, ...)
  local ok, text, code = await(f, ...)
  if ok ~= false or text ~= "too many open files" or code ~= 24 then
    error("got " .. tostring(ok) .. ", " .. tostring(text) .. ", " .. tostring(code), 2)
  end
end
local function fails(f, ...)
  raised = nil
  local former = system.onerror(function (err) raised = err end)
  await(f, ...)
  system.onerror(former)
  if not tostring(raised):find("too many open files", 1, true) then error("got " .. tostring(raised), 2) end
end

local function without()
  for _ = 1, 3 do
    -- What needs none.
    assert(await(system.suspend) == true)
    assert(await(system.suspend, .001) == true)
    local w = start(event.await, "event")
    assert(event.emitall "event")
    assert(finish(w) == "event")
    local ch, other = channel.create "here", channel.create "here"
    w = start(system.awaitch, ch, "in")
    local _, text = await(system.awaitch, other, "out", "text")
    assert(text == nil and select(2, finish(w)) == "text")
    assert(system.run() == false)
    -- What does.
    lacks(function () return system.socket("stream", "ipv4") end)
    lacks(system.openfile, path, "r")
    lacks(function () return system.openfile(path, "r~") end)
    lacks(system.random, memory.create(4))
    lacks(system.findaddr, "127.0.0.1", 80)
    lacks(system.awaitsig, "userdef1")
    lacks(system.execute, "true")
    fails(system.fileinfo, path, "?@")
    fails(system.fileinfo, path, "?")
    fails(system.listdir, path)
    assert(system.fileinfo(path, "~?") == "directory")
    assert(system.run() == false)
  end
end

local function with()
  assert(await(system.fileinfo, path, "?@") == "directory")
  assert(await(system.findaddr, "127.0.0.1", 80))
  assert(await(system.execute, "true") == "exit")
  local passive = assert(system.socket("passive", "ipv4"))
  assert(passive:bind(system.address("ipv4", "127.0.0.1", 0)) and passive:listen(1))
  local w = start(passive.accept, passive)
  local client = assert(system.socket("stream", "ipv4"))
  assert(await(client.connect, client, passive:getaddress()) == true)
  local server = assert(finish(w))
  w = start(server.read, server, memory.create(4))
  assert(await(client.write, client, "text") == true)
  assert(finish(w) == 4)
  server:close() client:close() passive:close()
  assert(system.run() == false)
end
]==]

test("the main state [90 5.4] [30 A1]", [==[
  local without, with = T.load([[local path = ... ]] .. ]==] .. ("%q"):format(body .. "return without, with") .. [==[) "/"
  limit("nofile", 3)
  without()
  limit "nofile"
  with()
]==])

local halves = ([==[
  local body, path = %q, "/"
  local inside = "require '_G' require 'string' local coroutine, table = require 'coroutine', require 'table' " .. body .. [[
    -- A module is a file, so those are loaded before.
    assert(await(system.awaitch, channel.create "loaded", "out") == true)
    assert(await(system.awaitch, channel.create "scarce", "in") == true)
    without()
    local before, after = channel.create "before", channel.create "after"
    assert(await(system.awaitch, before, "out") == true)
    assert(await(system.awaitch, after, "in") == true)
    with()
    assert(await(system.awaitch, channel.create "end", "out", "end") == true)
  ]]
]==]):format(body)

test("a task [90 5.4] [20 7.6]", halves .. [==[
  local pool = assert(threads.create(1))
  assert(pool:dostring(inside, "=task", "t", path))
  assert(await(system.awaitch, channel.create "loaded", "in") == true)
  limit("nofile", 3)
  assert(await(system.awaitch, channel.create "scarce", "out") == true)
  assert(await(system.awaitch, channel.create "before", "in") == true)
  limit "nofile"
  assert(await(system.awaitch, channel.create "after", "out") == true)
  assert(select(2, await(system.awaitch, channel.create "end", "in")) == "end")
  assert(pool:close() == true)
]==])

test("a state coroutine [90 5.4] [20 4.1]", halves .. [==[
  local co = assert(states.load(inside, "=state", "t"))
  local w = T.waiter(function (...) return system.resume(...) end, co, path)
  assert(await(system.awaitch, channel.create "loaded", "in") == true)
  limit("nofile", 3)
  assert(await(system.awaitch, channel.create "scarce", "out") == true)
  assert(await(system.awaitch, channel.create "before", "in") == true)
  limit "nofile"
  assert(await(system.awaitch, channel.create "after", "out") == true)
  assert(select(2, await(system.awaitch, channel.create "end", "in")) == "end")
  assert(system.run() == false)
  T.same(w.got, { true })
]==])

test("sockets from before get a poller later [90 5.4] [50 7.1]", [==[
  local passive, udp, client = {}, {}, {}
  passive = assert(system.socket("passive", "ipv4"))
  assert(passive:bind(system.address("ipv4", "127.0.0.1", 0)) and passive:listen(4))
  udp = assert(system.socket("datagram", "ipv4"))
  assert(udp:bind(system.address("ipv4", "127.0.0.1", 0)))
  client = assert(system.socket("stream", "ipv4"))
  limit("nofile", 3)
  for _ = 1, 3 do
    lacks(24, await(passive.accept, passive))
    lacks(24, await(udp.read, udp, memory.create(4)))
    lacks(24, await(client.connect, client, passive:getaddress()))
    assert(system.run() == false)
  end
  limit "nofile"
  local reader = T.waiter(udp.read, udp, memory.create(4))
  assert(await(udp.write, udp, "text", 1, -1, udp:getaddress()) == true)
  assert(await(function () while not reader.got do system.suspend() end return true end))
  assert(reader.got[1] == 4)
  -- What became of the connection attempts that failed at once is for the next one.
  local another = assert(system.socket("stream", "ipv4"))
  local accepted = T.waiter(passive.accept, passive)
  assert(await(another.connect, another, passive:getaddress()) == true)
  if not accepted.got then system.run "step" end
  assert(accepted.got[1])
]==])

T.done()
