// Package browser tests the shop's and the dashboard's pages in a real browser
// against a running platform. Set COMMERCE_BROWSER_SCREENSHOTS to a folder to
// keep pictures of the pages.
package browser
