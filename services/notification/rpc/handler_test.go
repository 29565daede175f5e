package rpc_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/uuid"

	notificationv1 "github.com/commercestack/commercestack/api/gen/commerce/notification/v1"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/identity"
)

func reset(to, key string) *notificationv1.SendMailRequest {
	return &notificationv1.SendMailRequest{
		To: to, Template: "password_reset", IdempotencyKey: key, Locale: "de-DE",
		Params: map[string]string{"name": "Ada", "link": "https://shop.example/reset-password?token=secret"},
	}
}

func TestSendMail(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx := identity.With(t.Context(), identity.Identity{})
	first, err := b.mails.SendMail(ctx, reset("ada@example.com", "key"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.mails.SendMail(ctx, reset("ada@example.com", "key"))
	if err != nil || again.GetMailId() != first.GetMailId() {
		t.Errorf("again %v (%v)", again, err)
	}
	got := b.to(t, "ada@example.com", 1)
	if len(got) != 1 || len(got[0].Links) == 0 || got[0].Links[0] != "https://shop.example/reset-password?token=secret" {
		t.Errorf("%+v", got)
	}
	for name, test := range map[string]struct {
		change func(*notificationv1.SendMailRequest)
		field  string
	}{
		"no address":         {func(r *notificationv1.SendMailRequest) { r.To = "nobody" }, "to"},
		"no key":             {func(r *notificationv1.SendMailRequest) { r.IdempotencyKey = "" }, "idempotencyKey"},
		"no such template":   {func(r *notificationv1.SendMailRequest) { r.Template = "newsletter" }, "template"},
		"a template's path":  {func(r *notificationv1.SendMailRequest) { r.Template = "../welcome" }, "template"},
		"a missing link":     {func(r *notificationv1.SendMailRequest) { delete(r.Params, "link") }, "params"},
		"a header in the to": {func(r *notificationv1.SendMailRequest) { r.To = "a@example.com\r\nBcc: b@example.com" }, "to"},
	} {
		request := reset("ada@example.com", uuid.NewString())
		test.change(request)
		_, err := b.mails.SendMail(ctx, request)
		if failure := fault.From(err); failure == nil || failure.Kind != fault.KindInvalidInput || failure.Field != test.field || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestListAndRedriveAreForOperators(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	as := identity.With(t.Context(), admin)
	ids := make(map[string]bool)
	for range 5 {
		sent, err := b.mails.SendMail(as, reset("ada@example.com", uuid.NewString()))
		if err != nil {
			t.Fatal(err)
		}
		ids[sent.GetMailId()] = true
	}
	b.to(t, "ada@example.com", 5)
	eventually(t, "all are sent", func() bool { return b.count(t, "SELECT count(*) FROM mail WHERE status = 'SENT'") == 5 })
	request := &notificationv1.ListMailsRequest{PageSize: 2, To: "ada@example.com", Status: notificationv1.Mail_SENT}
	for pages := 1; ; pages++ {
		page, err := b.mails.ListMails(as, request)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page.GetMails() {
			if !ids[m.GetId()] || m.GetTo() != "ada@example.com" || m.GetStatus() != notificationv1.Mail_SENT || m.GetAttempts() != 1 || m.GetSendTime() == nil || m.GetTemplateVersion() != 1 {
				t.Errorf("%v", m)
			}
			delete(ids, m.GetId())
		}
		if request.PageToken = page.GetNextPageToken(); request.GetPageToken() == "" {
			if pages != 3 || len(ids) != 0 {
				t.Errorf("%d pages, %d mails are missing", pages, len(ids))
			}
			break
		}
		other := &notificationv1.ListMailsRequest{PageToken: page.GetNextPageToken(), To: "bob@example.com"}
		if _, err := b.mails.ListMails(as, other); fault.From(err) == nil || fault.From(err).Kind != fault.KindInvalidInput {
			t.Errorf("a token of another list: %v", err)
		}
	}
	if all, err := b.mails.ListMails(as, &notificationv1.ListMailsRequest{}); err != nil || len(all.GetMails()) != 5 {
		t.Errorf("%d mails by default (%v)", len(all.GetMails()), err)
	}

	var id string
	if err := b.db.Pool().QueryRow(t.Context(), "UPDATE mail SET status = 'DEAD', send_time = NULL, attempts = 3 WHERE id = (SELECT min(id::text)::uuid FROM mail) RETURNING id").Scan(&id); err != nil {
		t.Fatal(err)
	}
	redriven, err := b.mails.RedriveMail(as, &notificationv1.RedriveMailRequest{MailId: id})
	if err != nil || redriven.GetMail().GetStatus() != notificationv1.Mail_QUEUED || redriven.GetMail().GetAttempts() != 0 {
		t.Fatalf("%v (%v)", redriven, err)
	}
	if n := b.count(t, "SELECT count(*) FROM audit_log WHERE action LIKE '%RedriveMail'"); n != 1 {
		t.Errorf("audited %d times", n)
	}
	eventually(t, "it is sent again", func() bool { return b.count(t, "SELECT count(*) FROM mail WHERE status = 'SENT'") == 5 })
	if _, err := b.mails.RedriveMail(as, &notificationv1.RedriveMailRequest{MailId: id}); fault.From(err) == nil || fault.From(err).Reason != "MAIL_NOT_DEAD" {
		t.Errorf("a sent mail: %v", err)
	}
	if _, err := b.mails.RedriveMail(as, &notificationv1.RedriveMailRequest{MailId: uuid.NewString()}); fault.From(err) == nil || fault.From(err).Kind != fault.KindNotFound {
		t.Errorf("no mail: %v", err)
	}
	if _, err := b.mails.RedriveMail(as, &notificationv1.RedriveMailRequest{MailId: "1"}); fault.From(err) == nil || fault.From(err).Field != "mailId" {
		t.Errorf("no id: %v", err)
	}
}

func TestWhoMay(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, test := range map[string]struct {
		who          identity.Identity
		method, path string
		status       int
	}{
		"a guest":             {identity.Identity{}, "GET", "/api/v1/notifications/mails", 401},
		"a user":              {identity.Identity{UserID: uuid.NewString(), Permissions: []string{"read:own"}}, "GET", "/api/v1/notifications/mails", 403},
		"an administrator":    {admin, "GET", "/api/v1/notifications/mails?pageSize=5&status=DEAD", 200},
		"too large a page":    {admin, "GET", "/api/v1/notifications/mails?pageSize=101", 400},
		"a redrive of a user": {identity.Identity{UserID: uuid.NewString()}, "POST", "/api/v1/notifications/mails/" + uuid.NewString() + ":redrive", 403},
	} {
		recorder := httptest.NewRecorder()
		request := httptest.NewRequestWithContext(identity.With(t.Context(), test.who), test.method, test.path, http.NoBody)
		b.rest.ServeHTTP(recorder, request)
		if recorder.Code != test.status {
			t.Errorf("%s: %d %s", name, recorder.Code, recorder.Body)
		}
	}
}
