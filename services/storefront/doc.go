// Package storefront is a small shop for people with a browser: look around,
// fill a cart, buy as a guest or with an account, follow an order.
//
// It owns no data. It is a client of the other components and acts as the
// person in front of it. What it must remember of a guest (the secrets of the
// cart and of the latest orders) lives in sealed cookies of that browser.
package storefront
