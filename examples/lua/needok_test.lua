test("confirms the types it was given", function()
  load("needok.lua", "token-insertion-request", "other")
  emit(">NEED-OK:Need 'token-insertion-request' confirmation MSG:Please insert it")
  emit(">NEED-OK:Need 'strange' confirmation MSG:?")
  expect_sent{ "needok token-insertion-request ok", "needok strange cancel" }
end)
