#!/usr/bin/env -S moongate run
-- Answers NEED-STR questions from the command line, and NEED-OK questions with ok.
--
-- usage:  moongate run needstr.lua -- TYPE=TEXT…
--
--   moongate run needstr.lua -- pkcs11-id-request=0001 name=joe

local answers = {}
for _, a in ipairs(moongate.args) do
  local kind, text = a:match("^([^=]+)=(.*)$")
  assert(kind, "usage: needstr.lua TYPE=TEXT…")
  answers[kind] = text
end

moongate.on("needstr", function(ev)
  local text = answers[ev.type]
  if text then
    assert(ev:answer(text))
  else
    log.warn("no answer for this question", { type = ev.type, message = ev.message })
  end
end)

moongate.on("needok", function(ev) assert(ev:ok()) end)
