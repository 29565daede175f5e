package store

import (
	"time"

	"github.com/commercestack/commercestack/ent/auth"
	domain "github.com/commercestack/commercestack/services/auth"
)

func fromAccountRow(row *auth.Account) domain.Account {
	return domain.Account{
		ID: row.ID, Email: row.Email, DisplayName: row.DisplayName, PasswordHash: row.PasswordHash,
		EmailVerifiedTime: fromTime(row.EmailVerifiedTime), Roles: row.Roles, Disabled: row.Disabled, CreateTime: row.CreateTime,
	}
}

func fromSessionRow(row *auth.Session) domain.Session {
	return domain.Session{
		ID: row.ID, AccountID: row.AccountID, UserAgent: row.UserAgent, IPAddress: row.IPAddress,
		CreateTime: row.CreateTime, LastUseTime: row.LastUseTime, ExpireTime: row.ExpireTime, RevokeTime: fromTime(row.RevokeTime),
	}
}

func fromTokenRow(row *auth.RefreshToken) domain.RefreshToken {
	return domain.RefreshToken{
		ID: row.ID, Hash: row.Hash, SessionID: row.SessionID, CreateTime: row.CreateTime, ExpireTime: row.ExpireTime,
		UsedTime: fromTime(row.UsedTime), SuccessorSealed: row.SuccessorSealed,
	}
}

func fromKeyRow(row *auth.SigningKey) domain.SigningKey {
	return domain.SigningKey{
		ID: row.ID, State: domain.KeyState(row.State), StateTime: row.StateTime,
		Public: row.PublicKey, PrivateSealed: row.PrivateSealed, CreateTime: row.CreateTime,
	}
}

func fromTime(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func toTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
