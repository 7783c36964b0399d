package message

import "strings"

// Redact prepares a text message for the log: the values of auth-token and echo stay out of it. A session token
// leaves the mark SESS_ID.
func Redact(msg string) string {
	if !strings.Contains(msg, "auth-token") && !strings.Contains(msg, "echo") {
		return msg
	}
	parts := strings.Split(msg, ",")
	for i, entry := range parts {
		p := strings.TrimLeft(entry, " -?") // an update has marks in front
		marks := entry[:len(entry)-len(p)]
		switch {
		case strings.HasPrefix(p, "echo"):
			parts[i] = marks + "echo"
		case strings.HasPrefix(p, "auth-token-user"):
			parts[i] = marks + "auth-token-user"
		case strings.HasPrefix(p, "auth-token"):
			parts[i] = marks + "auth-token"
			if strings.HasPrefix(p, "auth-token SESS_ID_AT_") {
				parts[i] += "SESS_ID"
			}
		}
	}
	return strings.Join(parts, ",")
}
