package main

import "entgo.io/ent/dialect/sql/schema"

// tables is replaced by those of one component when migratediff builds this program.
var tables []*schema.Table
