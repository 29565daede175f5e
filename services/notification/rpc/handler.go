// Package rpc serves notification over Connect, and turns bus events into mails.
package rpc

import (
	"context"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	notificationv1 "github.com/commercestack/commercestack/api/gen/commerce/notification/v1"
	"github.com/commercestack/commercestack/internal/page"
	"github.com/commercestack/commercestack/services/notification"
)

const defaultPageSize = 20

// Handler implements the NotificationService.
type Handler struct {
	service *notification.Service
}

// NewHandler returns a handler over the domain.
func NewHandler(service *notification.Service) *Handler { return &Handler{service: service} }

// SendMail implements the contract.
func (h *Handler) SendMail(ctx context.Context, request *notificationv1.SendMailRequest) (*notificationv1.SendMailResponse, error) {
	id, err := h.service.Enqueue(ctx, notification.SendInput{
		To: request.GetTo(), Template: request.GetTemplate(), Params: request.GetParams(),
		IdempotencyKey: request.GetIdempotencyKey(), Locale: request.GetLocale(),
	})
	if err != nil {
		return nil, err
	}
	return &notificationv1.SendMailResponse{MailId: id.String()}, nil
}

// cursor is the place after the last mail of a page.
type cursor struct {
	Time time.Time `json:"t"`
	ID   uuid.UUID `json:"i"`
}

// ListMails implements the contract.
func (h *Handler) ListMails(ctx context.Context, request *notificationv1.ListMailsRequest) (*notificationv1.ListMailsResponse, error) {
	size := int(request.GetPageSize())
	if size == 0 {
		size = defaultPageSize
	}
	filter := notification.Filter{To: request.GetTo(), Limit: size + 1}
	if request.GetStatus() != notificationv1.Mail_STATUS_UNSPECIFIED {
		filter.Status = notification.Status(request.GetStatus().String())
	}
	binding := page.FilterHash(request.GetStatus().String(), request.GetTo())
	if token := request.GetPageToken(); token != "" {
		var after cursor
		if err := page.Decode(token, &after, binding); err != nil {
			return nil, err
		}
		filter.AfterTime, filter.AfterID = after.Time, after.ID
	}
	mails, err := h.service.List(ctx, filter)
	if err != nil {
		return nil, err
	}
	response := &notificationv1.ListMailsResponse{}
	if len(mails) > size {
		mails = mails[:size]
		last := mails[size-1]
		response.NextPageToken = page.Encode(cursor{Time: last.CreateTime, ID: last.ID}, binding)
	}
	for _, m := range mails {
		response.Mails = append(response.Mails, toProto(m))
	}
	return response, nil
}

// RedriveMail implements the contract.
func (h *Handler) RedriveMail(ctx context.Context, request *notificationv1.RedriveMailRequest) (*notificationv1.RedriveMailResponse, error) {
	m, err := h.service.Redrive(ctx, uuid.MustParse(request.GetMailId()))
	if err != nil {
		return nil, err
	}
	return &notificationv1.RedriveMailResponse{Mail: toProto(m)}, nil
}

func toProto(m notification.Mail) *notificationv1.Mail {
	out := &notificationv1.Mail{
		Id: m.ID.String(), To: m.To, Template: m.Template, TemplateVersion: int32(m.TemplateVersion),
		Status:    notificationv1.Mail_Status(notificationv1.Mail_Status_value[string(m.Status)]),
		Attempts:  int32(m.Attempts),
		LastError: m.LastError, CreateTime: timestamppb.New(m.CreateTime),
	}
	if !m.SendTime.IsZero() {
		out.SendTime = timestamppb.New(m.SendTime)
	}
	return out
}
