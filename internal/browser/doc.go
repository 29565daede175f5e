// Package browser is what the platform's own web pages share: who is visiting,
// forms that only our own pages can send, security headers, static files and
// errors as sentences.
//
// A page holds no data of its own. The person's tokens live in a sealed cookie
// that scripts cannot read; each call to another component carries the person's
// identity, so pages can do exactly what the person may do.
//
// Pages run no inline script and no inline style, and the content security
// policy forbids both.
package browser
