// Package admin is the dashboard: people with the role admin look after users,
// orders, payments and mails in a browser.
//
// It owns no data and has no rights of its own. Every call it makes carries the
// identity of the person, so the components decide, once more, what is allowed,
// and their audit logs name the person.
package admin
