package desired

import (
	"strings"

	"github.com/commercestack/commercestack/internal/cachelogin"
)

// RedisUsers holds where Redis has users besides its administrator, whose logins
// alternate.
func RedisUsers(in Input) bool { return !redisExternal(in) && in.RenderRevision >= usersRevision }

// RedisUser is the user of a slot, "a" or "b".
func RedisUser(slot string) string { return cachelogin.User + "_" + slot }

// RedisACL is the file of users: the administrator, and the platform's by name.
// It holds hashes of the passwords. The error is a user without a password.
func RedisACL(admin string, users []RedisLogin) ([]byte, error) {
	line, err := cachelogin.AdminLine("default", admin)
	if err != nil {
		return nil, err
	}
	lines := []string{line}
	for _, user := range users {
		if line, err = cachelogin.Line(user.Name, user.Password); err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	return []byte(strings.Join(lines, "\n") + "\n"), nil
}

// RedisLogin is a user of Redis.
type RedisLogin struct{ Name, Password string }
