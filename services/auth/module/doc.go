// Package module starts the auth component.
package module
