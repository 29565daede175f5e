package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// bareProduct is what the bare handler answers, of the size the platform answers.
type bareProduct struct {
	ID          string `json:"id"`
	Slug        string `json:"slug"`
	SKU         string `json:"sku"`
	Name        string `json:"name"`
	Description string `json:"description"`
	Currency    string `json:"currencyCode"`
	Price       int64  `json:"amountMinor"`
	OnHand      int64  `json:"onHand"`
	Reserved    int64  `json:"reserved"`
}

const bareSelect = `SELECT p.id::text, p.slug, p.sku, p.name, p.description, p.currency_code, p.price_minor, s.on_hand, s.reserved
	FROM product.product p JOIN product.stock_level s ON s.product_id = p.id `

// serveBare is the yardstick: net/http, pgx and encoding/json with the same SQL and nothing else.
func serveBare(ctx context.Context, database, listen string) error {
	config, err := pgxpool.ParseConfig(database)
	if err != nil {
		return err
	}
	config.MaxConns = 8 // as many as a component of the platform has
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /products/{id}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, pool, bareSelect+"WHERE p.id = $1", r.PathValue("id"))
	})
	mux.HandleFunc("GET /products", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, pool, bareSelect+"WHERE p.status = 'ACTIVE' AND p.delete_time IS NULL ORDER BY p.create_time DESC, p.id DESC LIMIT 21")
	})
	mux.HandleFunc("GET /search", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, pool, bareSelect+"WHERE p.search @@ plainto_tsquery('simple', $1) AND p.delete_time IS NULL LIMIT 21", r.URL.Query().Get("q"))
	})
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) { order(w, r, pool) })
	server := &http.Server{Addr: listen, Handler: mux, ReadHeaderTimeout: time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func answer(w http.ResponseWriter, r *http.Request, pool *pgxpool.Pool, query string, args ...any) {
	rows, err := pool.Query(r.Context(), query, args...)
	if err == nil {
		var products []bareProduct
		if products, err = pgx.CollectRows(rows, pgx.RowToStructByPos[bareProduct]); err == nil {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(products)
			return
		}
	}
	http.Error(w, "failed", http.StatusInternalServerError)
}

// order is the least that sells a thing: a guarded update and an insert in one transaction.
func order(w http.ResponseWriter, r *http.Request, pool *pgxpool.Pool) {
	var request struct {
		Email string `json:"email"`
		Items []struct {
			ProductID string `json:"productId"`
			Quantity  int64  `json:"quantity"`
		} `json:"items"`
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil || len(request.Items) == 0 {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	item := request.Items[0]
	id := uuid.Must(uuid.NewV7())
	err := pgx.BeginFunc(r.Context(), pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(r.Context(), "UPDATE bench.stock SET reserved = reserved + $2 WHERE product_id = $1 AND on_hand - reserved >= $2", item.ProductID, item.Quantity)
		if err != nil || tag.RowsAffected() != 1 {
			return errors.Join(err, errors.New("out of stock"))
		}
		_, err = tx.Exec(r.Context(), "INSERT INTO bench.orders VALUES ($1, $2, $3, $4, $5, now())", id, request.Email, item.ProductID, item.Quantity, 100*item.Quantity)
		return err
	})
	if err != nil {
		http.Error(w, "failed", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"id": id, "status": "PENDING"})
}
