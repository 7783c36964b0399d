test("answers what it knows", function()
  load("needstr.lua", "name=joe doe", "id=1")
  emit(">NEED-STR:Need 'name' input MSG:Please specify your name")
  emit(">NEED-STR:Need 'strange' input MSG:?")
  emit(">NEED-OK:Need 'token' confirmation MSG:?")
  expect_sent{ [[needstr name "joe doe"]], "needok token ok" }
  expect_logged("no answer for this question")
end)
