local function ping(times)
  fake{ exec = function(c)
    local ms = times[c[9]]
    if not ms then return { code = 1, stdout = "", stderr = "" } end
    return { code = 0, stdout = ("rtt min/avg/max/mdev = 1.0/%.1f/9.0/0.1 ms"):format(ms), stderr = "" }
  end }
end

test("takes the fastest", function()
  ping{ ["a.example"] = 40, ["b.example"] = 10 }
  load("fastest-remote.lua")
  reply("remote-entry-get all", "0,a.example,1194,udp,enabled\n1,b.example,1194,udp,enabled\n2,c.example,1194,udp,enabled\nEND")
  emit(">REMOTE:a.example,1194,udp")
  emit(">REMOTE:b.example,1194,udp")
  expect_sent{ "remote-entry-get all", "remote SKIP", "remote ACCEPT" }
end)

test("an older daemon", function()
  ping{ ["a.example"] = 400, ["b.example"] = 10 }
  load("fastest-remote.lua")
  reply("remote-entry-get all", "ERROR: unknown command [remote-entry-get], enter 'help' for more options")
  emit(">REMOTE:a.example,1194,udp")
  emit(">REMOTE:b.example,1194,udp")
  expect_sent{ "remote-entry-get all", "remote SKIP", "remote-entry-get all", "remote ACCEPT" }
end)
