package topology

// RateLimits are the gateway's policies and their defaults, as calls/period:burst.
func RateLimits() map[string]string {
	return map[string]string{ //nolint:gosec // credentials is the name of a policy
		"read": "200/1s:400", "write": "50/1s:200", "credentials": "60/1m0s:60", "payment": "20/1s:100", "webhook": "500/1s:1000",
	}
}
