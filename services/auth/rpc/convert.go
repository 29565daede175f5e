package rpc

import (
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/commercestack/commercestack/api/gen/commerce/auth/v1"
	"github.com/commercestack/commercestack/services/auth"
)

const tokenType = "Bearer"

// fromID parses what the contract's validation let through. Anything else is the zero id, which nothing has.
func fromID(text string) uuid.UUID {
	id, _ := uuid.Parse(text)
	return id
}

func toSeconds(d time.Duration) int32 {
	return int32(min(d/time.Second, 1<<31-1))
}

func toProtoAccount(a auth.Account) *authv1.Account {
	return &authv1.Account{
		UserId: a.ID.String(), Email: a.Email, EmailVerified: a.Verified(), Roles: a.Roles, Disabled: a.Disabled,
		CreateTime: timestamppb.New(a.CreateTime), DisplayName: a.DisplayName,
	}
}

func toProtoSession(s auth.Session, current uuid.UUID) *authv1.Session {
	return &authv1.Session{
		Id: s.ID.String(), CreateTime: timestamppb.New(s.CreateTime), LastUseTime: timestamppb.New(s.LastUseTime),
		ExpireTime: timestamppb.New(s.ExpireTime), UserAgent: s.UserAgent, IpAddress: s.IPAddress, Current: s.ID == current,
	}
}
