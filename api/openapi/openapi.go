// Package openapi holds the OpenAPI 3.1 document of the REST API. It is
// generated from api/proto by `make generate-openapi`.
package openapi

import _ "embed"

// Document is the OpenAPI document as JSON. It must not be changed.
//
//go:embed openapi.json
var Document []byte
