package store_test

import (
	"testing"

	"github.com/commercestack/commercestack/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }
