// Package e2e tests whole purchases against both shapes of the platform: one
// process, and a process for each component.
package e2e
