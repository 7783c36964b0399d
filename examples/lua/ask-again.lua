#!/usr/bin/env -S moongate run
-- Asks again after AUTH_FAILED: a wrong password is answered with the next one that a program gives, up to three times.
--
-- usage:  moongate run ask-again.lua --allow exec -- USERNAME PROGRAM [ARG…]        beside a client with management-query-passwords
--
-- The program prints a password in its first line; it gets "first", or the reason of the refusal, on its standard input. A dialogue such as zenity does.
-- The daemon needs auth-retry interact, which is set here.

local user, tries = moongate.args[1], 0
local program = { select(2, unpack(moongate.args)) }
assert(user and program[1], "usage: ask-again.lua USERNAME PROGRAM [ARG…]")
local reason

send("auth-retry interact")

moongate.on("password.failed", function(ev)
  if ev.type == "Auth" then reason = ev.reason or "wrong username or password" end
end)

moongate.on("password.need", function(ev)
  if ev.type ~= "Auth" then return end
  tries = tries + 1
  if tries > 3 then
    log.error("three wrong passwords: the daemon is stopped")
    signal("SIGTERM")
    return
  end
  local command = { stdin = (reason or "first") .. "\n", timeout = 120, unpack(program) }
  local r, err = exec(command)
  if not r or r.code ~= 0 then
    log.error(err or program[1] .. " gave no password")
    signal("SIGTERM")
    return
  end
  assert(ev:answer{ username = user, password = r.stdout:match("^[^\r\n]*") })
end, { timeout = 150 })

moongate.on("state", function(ev)
  if ev.name == "CONNECTED" then tries, reason = 0, nil end
end)
