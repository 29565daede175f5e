// Package controllers is the operator: its list of controllers and the manager
// that runs them.
package controllers
