// Package upstream calls other components for user.
package upstream
