// Package rest is the platform's third transport beside Connect and gRPC: it
// turns HTTP requests into calls by the google.api.http rules of the methods
// and answers with the JSON, the errors and the cache headers of the REST
// contract. The gateway uses the same route table to know what a request is.
package rest
