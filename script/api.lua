-- Verbs of moongate that are made of commands. The runtime gives the functions below; none of this is seen in errors and traces.
local mg, fail, nearest = ...

local function text(reply, err)
  if not reply then return nil, err end
  return reply.text
end

local function number(name, command)
  local reply, err = mg.send(command)
  if not reply then return nil, err end
  return tonumber(reply.text:match("^" .. name .. "=(-?%d+)"))
end

local function options(t, what, ...)
  for name in pairs(t) do
    local known = false
    for _, k in ipairs{ ... } do known = known or k == name end
    if not known then fail(what .. ": unknown field " .. tostring(name) .. nearest(tostring(name), { ... })) end
  end
end

mg.state, mg.status = mg.get_state, mg.get_status

function mg.clients()
  local s, err = mg.get_status()
  if not s then return nil, err end
  return s.clients
end

function mg.kill(t)
  if type(t) ~= "table" then fail("kill: want a table with cid, name or address") end
  options(t, "kill", "cid", "name", "address", "reason")
  if t.cid then
    return text(mg.send{ "client-kill", tostring(t.cid), t.reason })
  elseif t.name or t.address then
    return text(mg.send{ "kill", t.name or t.address })
  end
  fail("kill: want cid, name or address")
end

function mg.signal(name) return text(mg.send{ "signal", name }) end

function mg.pid() return number("pid", "pid") end

function mg.verb(n)
  if n then return text(mg.send("verb " .. n)) end
  return number("verb", "verb")
end

function mg.mute(n)
  if n then return text(mg.send("mute " .. n)) end
  return number("mute", "mute")
end

function mg.hold(word)
  if word then return text(mg.send("hold " .. word)) end
  local n, err = number("hold", "hold")
  if not n then return nil, err end
  return n == 1
end

function mg.load_stats()
  local reply, err = mg.send("load-stats")
  if not reply then return nil, err end
  local n, bytes_received, bytes_sent = reply.text:match("nclients=(%d+),bytesin=(%d+),bytesout=(%d+)")
  return { clients = tonumber(n), bytes_received = tonumber(bytes_received), bytes_sent = tonumber(bytes_sent) }
end

function mg.version()
  local reply, err = mg.send("version")
  if not reply then return nil, err end
  local v = {}
  for _, line in ipairs(reply.lines) do
    v.daemon = v.daemon or line:match("^OpenVPN Version: (.*)")
    v.management = v.management or tonumber(line:match("^Management%D*(%d+)"))
  end
  return v
end

-- What can be observed: the events after which to look again, and how to look.
local sources = {
  state = { { "connected", "state" }, mg.get_state },
  clients = { { "connected", "client.established", "client.disconnect", "client.address" }, mg.clients },
  hold = { { "connected", "hold" }, mg.hold },
}

function mg.observe(what, fn)
  if what == "prompts" then
    local handles = {}
    for i, event in ipairs{ "password.need", "needok", "needstr" } do handles[i] = mg.on(event, fn) end
    return { off = function() for _, h in ipairs(handles) do h:off() end end }
  end
  local source = sources[what]
  if not source then fail("observe: unknown " .. tostring(what) .. nearest(tostring(what), { "state", "clients", "hold", "prompts" })) end
  local handles, last = {}, nil
  local function look()
    local now = source[2]()
    local written = now ~= nil and json.encode(now) or nil
    if now ~= nil and written ~= last then
      last = written
      fn(now)
    end
  end
  for i, event in ipairs(source[1]) do handles[i] = mg.on(event, look) end
  look()
  return { off = function() for _, h in ipairs(handles) do h:off() end end }
end
