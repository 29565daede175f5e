package cachelogin

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The users that the platform logs in as.
const (
	// User is the only one where logins do not alternate.
	User = "commerce"
	// UserA and UserB alternate.
	UserA = User + "_a"
	UserB = User + "_b"
)

// Users are all of them.
func Users() []string { return []string{User, UserA, UserB} }

// rules are what a user of the platform may do: read and write the keys of rate
// limits, of throttled logins and ended sessions, and of cached products, by
// the commands that their programs and scripts use. No key of others, no
// channel, nothing that lists, empties or configures the server.
var rules = []string{
	"resetkeys", "~rate:*", "~auth:*", "~product:*", "resetchannels", "-@all",
	"+get", "+set", "+del", "+exists", "+hget", "+hset", "+hincrby", "+pexpire", "+time", "+eval", "+evalsha",
	"+ping", "+hello", "+auth", "+select",
}

// Rules returns what a user of the platform may do, in the words of ACL SETUSER.
func Rules() []string { return slices.Clone(rules) }

// Line is a user of the platform in a file of users. It holds the password's
// hash and not the password.
func Line(user, password string) (string, error) {
	if err := check(user, password); err != nil {
		return "", err
	}
	return "user " + user + " on " + hashed(password) + " " + strings.Join(rules, " "), nil
}

var adminName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)

// AdminLine is a user that may do everything, as who logins are set and retired.
func AdminLine(user, password string) (string, error) {
	switch {
	case !adminName.MatchString(user) || slices.Contains(Users(), user):
		return "", fmt.Errorf("cachelogin: an administrator is not called %q", user)
	case password == "":
		return "", errors.New("cachelogin: the administrator has no password")
	}
	return "user " + user + " on " + hashed(password) + " ~* &* +@all", nil
}

// hashed is a password as rules have it.
func hashed(password string) string {
	sum := sha256.Sum256([]byte(password))
	return "#" + hex.EncodeToString(sum[:])
}

func check(user, password string) error {
	if err := checkUser(user); err != nil {
		return err
	}
	if password == "" {
		return fmt.Errorf("cachelogin: the address of %s has no password", user)
	}
	return nil
}

func checkUser(user string) error {
	if !slices.Contains(Users(), user) {
		return fmt.Errorf("cachelogin: the platform does not log in to Redis as %q, but as one of %s", user, strings.Join(Users(), ", "))
	}
	return nil
}
