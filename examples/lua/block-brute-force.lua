#!/usr/bin/env -S moongate run
-- Refuses addresses that guess passwords, for longer each time. The bans outlive a restart.
--
-- usage:  script block-brute-force.lua arg PROGRAM allow exec,store=/var/lib/moongate/bans.db       in a server with management-client-auth
--
-- PROGRAM gets the username and the password as two lines of its standard input; status 0 admits. Five wrong passwords from an address within ten
-- minutes ban it for ten minutes, the next five for an hour, then for a day.

local program = assert(moongate.args[1], "usage: block-brute-force.lua PROGRAM")
local tries, window, bans = 5, 600, { 600, 3600, 86400 }

local function address(ev) return ev.env.untrusted_ip or ev.env.untrusted_ip6 or "unknown" end

local function wrong(addr)
  local n = tonumber(store.get("tries " .. addr) or 0) + 1
  if n < tries then
    store.set("tries " .. addr, tostring(n), { ttl = window })
    return
  end
  local times = math.min(tonumber(store.get("times " .. addr) or 0) + 1, #bans)
  store.set("times " .. addr, tostring(times), { ttl = 7 * 86400 })
  store.set("ban " .. addr, "banned", { ttl = bans[times] })
  store.delete("tries " .. addr)
  log.warn("banned", { address = addr, seconds = bans[times] })
end

local function decide(ev)
  local addr = address(ev)
  if store.get("ban " .. addr) then
    ev:deny("banned", { client_reason = "too many wrong passwords" })
    return
  end
  local r, err = exec{ program, stdin = (ev.username or "") .. "\n" .. (ev.password or "") .. "\n" }
  if not r then
    log.error(err)
    ev:deny("the password could not be checked", { client_reason = "temporarily unavailable" })
  elseif r.code == 0 then
    store.delete("tries " .. addr)
    ev:admit()
  else
    wrong(addr)
    ev:deny("wrong password", { client_reason = "wrong username or password" })
  end
end

moongate.on("client.connect", decide)
moongate.on("client.reauth", decide)
