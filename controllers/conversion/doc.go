// Package conversion serves the webhook by which the API server converts
// CommerceStacks between their versions, and keeps what it needs: an authority and
// a certificate in a Secret beside the operator, and the authority's certificates
// in the definition of the kind.
//
// Every replica serves and looks after the certificate, leader or not: it is a
// function of the Secret and the time, and who writes second reads what the first
// wrote. A new certificate is used only once the API server was told of its
// authority, so there is no moment in which it meets one that it does not trust.
//
// Objects are converted as the JSON that they are (v1beta1.Convert) and not by way
// of Go types, as controller-runtime's handler does: those would write 2160h as
// 2160h0m0s and leave out what is false, and so change what nobody changed.
package conversion
