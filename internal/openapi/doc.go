// Package openapi serves the API's description: the OpenAPI document for
// programs and a page for people. The page is rendered once from the document,
// needs no script and loads nothing from elsewhere.
package openapi
