test("answers from its file", function()
  file.read = function() return [[{"Auth": {"username": "joe", "password": "hush"}, "Private Key": {"password": "key"}}]] end
  load("answer-passwords.lua")
  emit(">PASSWORD:Need 'Auth' username/password")
  emit(">PASSWORD:Need 'Private Key' password")
  emit("hold")
  expect_sent{ "username Auth joe", "password Auth hush", [[password "Private Key" key]], "hold release" }
end)
