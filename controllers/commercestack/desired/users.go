package desired

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// RedisUsers holds where Redis has users besides its administrator, whose logins
// alternate.
func RedisUsers(in Input) bool { return !redisExternal(in) && in.RenderRevision >= usersRevision }

// RedisUser is the user of a slot, "a" or "b".
func RedisUser(slot string) string { return "commerce_" + slot }

// RedisACL is the file of users: the administrator, and the platform's by name.
// It holds hashes of the passwords.
func RedisACL(admin string, users []RedisLogin) []byte {
	var file strings.Builder
	file.WriteString("user default on #" + sha256Of(admin) + " ~* &* +@all\n")
	for _, user := range users {
		// Everything that works on data, and nothing that works on the server.
		file.WriteString("user " + user.Name + " on #" + sha256Of(user.Password) + " ~* &* +@all -@admin -@dangerous\n")
	}
	return []byte(file.String())
}

// RedisLogin is a user of Redis.
type RedisLogin struct{ Name, Password string }

func sha256Of(password string) string {
	sum := sha256.Sum256([]byte(password))
	return hex.EncodeToString(sum[:])
}
