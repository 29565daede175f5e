package admin

import (
	"net/http"
	"strings"

	notificationv1 "github.com/commercestack/commercestack/api/gen/commerce/notification/v1"
	"github.com/commercestack/commercestack/internal/browser"
	"github.com/commercestack/commercestack/services/admin/view"
)

const mailsPath = root + "/mails"

func (d *Dashboard) listMails(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	query := r.URL.Query()
	status := notificationv1.Mail_Status(notificationv1.Mail_Status_value[query.Get("status")])
	ask := &notificationv1.ListMailsRequest{PageSize: listSize, PageToken: query.Get("page_token"), Status: status, To: strings.TrimSpace(query.Get("to"))}
	answer, err := d.mails.ListMails(v.As(r.Context(), ""), ask)
	if err != nil {
		return err
	}
	m := view.Mails{Mails: answer.Mails, Status: status, To: ask.To}
	m.First, m.Next = neighbours(mailsPath, ask.PageToken, answer.NextPageToken, []string{"status", query.Get("status"), "to", ask.To})
	return browser.Show(w, r, http.StatusOK, view.MailsPage(d.frame(r, v, "Mails", mailsPath), m))
}

func (d *Dashboard) redriveMail(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	if _, err := d.mails.RedriveMail(v.As(r.Context(), ""), &notificationv1.RedriveMailRequest{MailId: r.PathValue("id")}); err != nil {
		return err
	}
	return browser.SeeOther(w, r, view.Link(mailsPath, "done", "redriven"))
}
