#!/usr/bin/env -S moongate run
-- One session per user: the newest wins.
--
-- usage:  moongate run one-session.lua            beside a server with duplicate-cn
--    or:  script one-session.lua                  in its configuration
--
-- A user is a username, or a common name without one. When a session is established, older ones of the same user are ended.

local sessions = {} -- user -> cid

local function user(ev) return ev.username or ev.common_name end

moongate.on("client.established", function(ev)
  local name = user(ev)
  local old = sessions[name]
  sessions[name] = ev.cid
  if old and old ~= ev.cid then
    log.info("an older session ends", { user = name, cid = old })
    kill{ cid = old, reason = "HALT,you are connected elsewhere" }
  end
end)

moongate.on("client.disconnect", function(ev)
  if sessions[user(ev)] == ev.cid then sessions[user(ev)] = nil end
end)
