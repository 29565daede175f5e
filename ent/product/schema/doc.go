// Package schema is the hand-written description of the product component's
// tables: the catalog, the stock with its ledger, and reservations.
//
// What Ent cannot say stands in the migrations beside it: the search vector and
// its indexes, the trigger that keeps the ledger append-only, the trigger that
// keeps the category tree free of cycles, and the stock functions.
package schema
