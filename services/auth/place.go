package auth

import "github.com/google/uuid"

// SigningKeyPlace is what the private half of a signing key is bound to.
func SigningKeyPlace(id string) []byte { return keyPurpose(id) }

// SuccessorPlace is what the successor of a refresh token is bound to: the token's hash.
func SuccessorPlace(hash []byte) []byte { return successorPurpose(hash) }

// MailPlace is what a queued mail is bound to.
func MailPlace(id uuid.UUID) []byte { return mailPurpose(id) }
