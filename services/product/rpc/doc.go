// Package rpc serves the product component's contract: it converts, asks the
// domain once and converts back. Public reads come from the cache; whoever may
// change the catalog reads past it.
package rpc
