test("writes lines", function()
  load("journal.lua", "/log/j")
  emit("client.established", { cid = 3, env = { common_name = "joe", trusted_ip = "192.0.2.7", trusted_port = "40000", ifconfig_pool_remote_ip = "10.8.0.2" } })
  emit("client.disconnect", { cid = 3, env = { common_name = "joe", trusted_ip = "192.0.2.7", trusted_port = "40000", bytes_received = "10", bytes_sent = "20", time_duration = "77" } })
  expect_written{
    [[/log/j: {"address":"192.0.2.7:40000","cid":3,"client":"joe","event":"connect","time":1800000000,"tunnel":"10.8.0.2"}]],
    [[/log/j: {"address":"192.0.2.7:40000","bytes_received":10,"bytes_sent":20,"cid":3,"client":"joe","event":"disconnect","seconds":77,"time":1800000000}]],
  }
end)
