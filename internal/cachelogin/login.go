package cachelogin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrInUse says that a user still has connections.
var ErrInUse = errors.New("the user is in use")

// How often connections are counted while they are waited for.
const poll = 500 * time.Millisecond

// Set gives the user that login names its password and its rules, and logs in
// with it. It replaces all that the user was before, in one command. Connections
// of the user go on.
func Set(ctx context.Context, admin, login *redis.Client) error {
	user, password := login.Options().Username, login.Options().Password
	if err := check(user, password); err != nil {
		return err
	}
	settings := append([]string{"resetpass"}, rules...)
	if err := setUser(ctx, admin, user, append(settings, hashed(password), "on")...); err != nil {
		return fmt.Errorf("cachelogin: set login %s: %w", user, err)
	}
	if err := login.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("cachelogin: log in as %s: %w", user, err)
	}
	return nil
}

// setUser changes a user, and the server's file of users when it has one that
// it may write. One that was given to it holds the user already.
func setUser(ctx context.Context, admin *redis.Client, user string, settings ...string) error {
	args := []any{"ACL", "SETUSER", user}
	for _, setting := range settings {
		args = append(args, setting)
	}
	if err := admin.Do(ctx, args...).Err(); err != nil {
		return err
	}
	_ = admin.Do(ctx, "ACL", "SAVE").Err() // the user is set all the same
	return nil
}

// Retire waits until nobody is connected as the user, then closes it and takes
// its password. When ctx ends before, it fails with ErrInUse and changes
// nothing. A user that does not exist is retired already.
func Retire(ctx context.Context, admin *redis.Client, user string) error {
	if err := checkUser(user); err != nil {
		return err
	}
	if user == admin.Options().Username {
		return fmt.Errorf("cachelogin: %s is the administrator", user)
	}
	for {
		connections, err := try(context.WithoutCancel(ctx), admin, user)
		if err != nil {
			return fmt.Errorf("cachelogin: retire login %s: %w", user, err)
		}
		if connections == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("cachelogin: retire login %s: %w: %d connections", user, ErrInUse, connections)
		case <-time.After(poll):
		}
	}
}

// try retires the user unless it has connections, which it counts. Logging in
// is forbidden first and connections are counted again: one that came in
// between gets its right back, since its process needs more of them.
func try(ctx context.Context, admin *redis.Client, user string) (connections int, err error) {
	if err := admin.Do(ctx, "ACL", "GETUSER", user).Err(); errors.Is(err, redis.Nil) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	if connections, err = count(ctx, admin, user); err != nil || connections > 0 {
		return connections, err
	}
	if err := setUser(ctx, admin, user, "off"); err != nil {
		return 0, err
	}
	if connections, err = count(ctx, admin, user); err != nil {
		return 0, err
	}
	if connections > 0 {
		return connections, setUser(ctx, admin, user, "on")
	}
	return 0, setUser(ctx, admin, user, "off", "resetpass")
}

// count returns the number of the user's connections.
func count(ctx context.Context, admin *redis.Client, user string) (int, error) {
	list, err := admin.ClientList(ctx).Result()
	if err != nil {
		return 0, err
	}
	n := 0
	for line := range strings.Lines(list) {
		for field := range strings.FieldsSeq(line) {
			if field == "user="+user {
				n++
			}
		}
	}
	return n, nil
}
