// Package schema declares the tables of the user component. Telephone numbers
// and postal addresses are stored sealed (AES-256-GCM), so a stolen dump holds
// none of them in clear.
package schema
