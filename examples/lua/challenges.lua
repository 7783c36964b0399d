#!/usr/bin/env -S moongate run
-- Answers challenges, static and dynamic, with what a program prints.
--
-- usage:  moongate run challenges.lua --allow exec -- USERNAME PASSWORD-REFERENCE PROGRAM [ARG…]
--
-- The program gets the text of the challenge on its standard input, and prints the response in its first line: a code from a phone's bridge, from a
-- token's tool, from a person at a dialogue. PASSWORD-REFERENCE is as in passwords-from-store.lua (--allow secret for sources other than cmd: and pass:).

local user, password_ref = moongate.args[1], moongate.args[2]
local program = { select(3, unpack(moongate.args)) }
assert(user and password_ref and program[1], "usage: challenges.lua USERNAME PASSWORD-REFERENCE PROGRAM [ARG…]")

local dynamic

local function ask(text)
  local command = { stdin = text .. "\n", timeout = 60, unpack(program) }
  local r, err = exec(command)
  if not r then return nil, err end
  if r.code ~= 0 then return nil, program[1] .. " ended with " .. r.code end
  return (r.stdout:match("^[^\r\n]*"))
end

moongate.on("password.failed", function(ev) dynamic = ev.crv1 end)

moongate.on("password.need", function(ev)
  if ev.type ~= "Auth" then return end
  local challenge = dynamic
  dynamic = nil
  local answer = { username = user }
  if challenge then
    answer.username, answer.state_id = challenge.username, challenge.state_id
  else
    answer.password = assert(secret(password_ref))
  end
  local text = challenge and challenge.text or ev.challenge
  if text then
    local response, err = ask(text)
    if not response then
      log.error(err, { challenge = text })
      return
    end
    answer.response = response
  end
  assert(ev:answer(answer))
end, { timeout = 90 })
