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

// Catalog is one state of the clusters, rules and clients. It never changes. A decision that needs more than one of
// them takes them from one Catalog.
type Catalog struct {
	// Version is the number of the last change of the configuration.
	Version int64
	// Clusters are in the order of their names, Rules in their order, Clients in the order of their ids.
	Clusters []Cluster
	Rules    []AccessRule
	Clients  []Client

	read time.Time
}

// Cluster returns a cluster by id.
func (c *Catalog) Cluster(id string) (*Cluster, error) {
	return find(c.Clusters, func(cluster *Cluster) bool { return cluster.ID == id })
}

// cache holds the last catalog.
type cache struct {
	flight  singleflight.Group
	mu      sync.Mutex
	current *Catalog
}

// forget empties the cache, so that the next reader queries the database.
func (c *cache) forget() { c.keep(nil) }

func (c *cache) keep(fresh *Catalog) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = fresh
}

// young returns the catalog if it is of this version at least, and not too old.
func (c *cache) young(now time.Time, version int64) *Catalog {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil || c.current.Version < version || now.Sub(c.current.read) >= catalogAge {
		return nil
	}
	return c.current
}

// catalogTimeout is the deadline for reading the catalog.
const catalogTimeout = 10 * time.Second

// Catalog returns the configuration, which may be up to two seconds old.
func (s *Store) Catalog(ctx context.Context) (*Catalog, error) { return s.catalogOf(ctx, 0) }

// CurrentCatalog returns the configuration with every change that was stored before the call, on any replica.
func (s *Store) CurrentCatalog(ctx context.Context) (*Catalog, error) {
	position, err := s.FeedPosition(ctx)
	if err != nil {
		return nil, err
	}
	return s.catalogOf(ctx, position.Version)
}

// catalogOf returns the catalog of this version or a later one. One goroutine queries the database and the others wait
// for it, each until its own deadline.
func (s *Store) catalogOf(ctx context.Context, version int64) (*Catalog, error) {
	if s.now == nil {
		return s.readCatalog(ctx)
	}
	if current := s.cache.young(s.now(), version); current != nil {
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
		fresh, _ := result.Val.(*Catalog)
		if result.Err == nil && fresh.Version < version { // the query began before the change
			return s.catalogOf(ctx, version)
		}
		return fresh, result.Err
	}
}

func (s *Store) readCatalog(ctx context.Context) (*Catalog, error) {
	var c *Catalog
	err := s.snapshot(ctx, func(tx *gorm.DB) error {
		c = &Catalog{}
		return c.fill(tx)
	})
	return c, err
}

func (c *Catalog) fill(tx *gorm.DB) error {
	if err := tx.Raw("SELECT version FROM config_state WHERE id = 1").Scan(&c.Version).Error; err != nil {
		return err
	}
	if err := tx.Order("name, id").Find(&c.Clusters).Error; err != nil {
		return err
	}
	if err := tx.Order("position, id").Find(&c.Rules).Error; err != nil {
		return err
	}
	return tx.Order("id").Find(&c.Clients).Error
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
	c, err := s.Catalog(ctx)
	if err != nil {
		return nil, err
	}
	return slices.Clone(c.Clusters), nil
}

// Cluster returns a cluster by id.
func (s *Store) Cluster(ctx context.Context, id string) (*Cluster, error) {
	c, err := s.Catalog(ctx)
	if err != nil {
		return nil, err
	}
	return c.Cluster(id)
}

// ClusterByAudience returns the cluster that accepts this audience.
func (s *Store) ClusterByAudience(ctx context.Context, audience string) (*Cluster, error) {
	c, err := s.Catalog(ctx)
	if err != nil {
		return nil, err
	}
	return find(c.Clusters, func(cluster *Cluster) bool { return cluster.Audience == audience })
}

// ClusterByServer returns the cluster with this API server address, without a trailing slash. The error's kind is
// NotFound when several clusters share the address.
func (s *Store) ClusterByServer(ctx context.Context, server string) (*Cluster, error) {
	c, err := s.Catalog(ctx)
	if err != nil {
		return nil, err
	}
	fits := func(cluster *Cluster) bool { return cluster.Server == server || cluster.Server == server+"/" }
	found, err := find(c.Clusters, fits)
	if err != nil {
		return nil, err
	}
	if _, second := find(c.Clusters, func(cluster *Cluster) bool { return cluster.ID != found.ID && fits(cluster) }); second == nil {
		return nil, notFound("Several clusters have this address. Use the ID of the cluster.")
	}
	return found, nil
}

// Rules lists the access rules in order.
func (s *Store) Rules(ctx context.Context) ([]AccessRule, error) {
	c, err := s.Catalog(ctx)
	if err != nil {
		return nil, err
	}
	return slices.Clone(c.Rules), nil
}

// Client returns a configured client by id.
func (s *Store) Client(ctx context.Context, id string) (*Client, error) {
	c, err := s.Catalog(ctx)
	if err != nil {
		return nil, err
	}
	return find(c.Clients, func(client *Client) bool { return client.ID == id })
}

// Clients lists the configured clients by id.
func (s *Store) Clients(ctx context.Context) ([]Client, error) {
	c, err := s.Catalog(ctx)
	if err != nil {
		return nil, err
	}
	return slices.Clone(c.Clients), nil
}
