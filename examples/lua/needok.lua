#!/usr/bin/env -S moongate run
-- Confirms NEED-OK questions of the types named on the command line, declines all others.
--
-- usage:  moongate run needok.lua [TYPE…]      default: token-insertion-request

local accept = {}
for _, t in ipairs(#moongate.args > 0 and moongate.args or { "token-insertion-request" }) do
  accept[t] = true
end

moongate.on("needok", function(ev)
  local reply, err
  if accept[ev.type] then
    reply, err = ev:ok()
  else
    reply, err = ev:cancel()
  end
  log.info(reply and reply.text or err, { type = ev.type, message = ev.message })
end)
