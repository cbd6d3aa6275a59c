package store

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"gorm.io/gorm"
)

// catalogAge is how long the configuration is cached. Other replicas see a change this much later. Data of users
// (sessions, devices, tokens, whether they are disabled) is never cached.
const catalogAge = 2 * time.Second

// catalog is a snapshot of the configuration. It never changes.
type catalog struct {
	clusters []Cluster
	rules    []AccessRule
	clients  []Client
	read     time.Time
}

// cache holds the last catalog.
type cache struct {
	flight  singleflight.Group
	mu      sync.Mutex
	current *catalog
}

// forget empties the cache, so that the next reader queries the database.
func (c *cache) forget() { c.keep(nil) }

func (c *cache) keep(fresh *catalog) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = fresh
}

func (c *cache) young(now time.Time) *catalog {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil || now.Sub(c.current.read) >= catalogAge {
		return nil
	}
	return c.current
}

// catalogTimeout is the deadline for reading the catalog.
const catalogTimeout = 10 * time.Second

// catalog returns the configuration. One goroutine queries the database and the others wait for it, each until its
// own deadline.
func (s *Store) catalog(ctx context.Context) (*catalog, error) {
	if s.now == nil {
		return s.readCatalog(ctx)
	}
	if current := s.cache.young(s.now()); current != nil {
		return current, nil
	}
	flight := s.cache.flight.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), catalogTimeout)
		defer cancel()
		fresh, err := s.readCatalog(ctx)
		if err == nil {
			fresh.read = s.now()
			s.cache.keep(fresh)
		}
		return fresh, err
	})
	select {
	case <-ctx.Done():
		return nil, translate(ctx.Err())
	case result := <-flight:
		fresh, _ := result.Val.(*catalog)
		return fresh, result.Err
	}
}

func (s *Store) readCatalog(ctx context.Context) (*catalog, error) {
	c := &catalog{}
	err := s.retry(ctx, func() error { return c.fill(s.db.WithContext(ctx)) })
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (c *catalog) fill(db *gorm.DB) error {
	if err := db.Order("name, id").Find(&c.clusters).Error; err != nil {
		return err
	}
	if err := db.Order("position, id").Find(&c.rules).Error; err != nil {
		return err
	}
	return db.Order("id").Find(&c.clients).Error
}

// find returns a copy of the first element that fits accepts.
func find[T any](list []T, fits func(*T) bool) (*T, error) {
	for i := range list {
		if fits(&list[i]) {
			found := list[i]
			return &found, nil
		}
	}
	return nil, notFound("There is no such entry. Check the ID.")
}

// Clusters lists the clusters by display name.
func (s *Store) Clusters(ctx context.Context) ([]Cluster, error) {
	c, err := s.catalog(ctx)
	if err != nil {
		return nil, err
	}
	return slices.Clone(c.clusters), nil
}

// Cluster returns a cluster by id.
func (s *Store) Cluster(ctx context.Context, id string) (*Cluster, error) {
	c, err := s.catalog(ctx)
	if err != nil {
		return nil, err
	}
	return find(c.clusters, func(cluster *Cluster) bool { return cluster.ID == id })
}

// ClusterByAudience returns the cluster that accepts this audience.
func (s *Store) ClusterByAudience(ctx context.Context, audience string) (*Cluster, error) {
	c, err := s.catalog(ctx)
	if err != nil {
		return nil, err
	}
	return find(c.clusters, func(cluster *Cluster) bool { return cluster.Audience == audience })
}

// ClusterByServer returns the cluster with this API server address, without a trailing slash. The error's kind is
// NotFound when several clusters share the address.
func (s *Store) ClusterByServer(ctx context.Context, server string) (*Cluster, error) {
	c, err := s.catalog(ctx)
	if err != nil {
		return nil, err
	}
	fits := func(cluster *Cluster) bool { return cluster.Server == server || cluster.Server == server+"/" }
	found, err := find(c.clusters, fits)
	if err != nil {
		return nil, err
	}
	if _, second := find(c.clusters, func(cluster *Cluster) bool { return cluster.ID != found.ID && fits(cluster) }); second == nil {
		return nil, notFound("Several clusters have this address. Use the ID of the cluster.")
	}
	return found, nil
}

// Rules lists the access rules in order.
func (s *Store) Rules(ctx context.Context) ([]AccessRule, error) {
	c, err := s.catalog(ctx)
	if err != nil {
		return nil, err
	}
	return slices.Clone(c.rules), nil
}

// Client returns a configured client by id.
func (s *Store) Client(ctx context.Context, id string) (*Client, error) {
	c, err := s.catalog(ctx)
	if err != nil {
		return nil, err
	}
	return find(c.clients, func(client *Client) bool { return client.ID == id })
}

// Clients lists the configured clients by id.
func (s *Store) Clients(ctx context.Context) ([]Client, error) {
	c, err := s.catalog(ctx)
	if err != nil {
		return nil, err
	}
	return slices.Clone(c.clients), nil
}
