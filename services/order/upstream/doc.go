// Package upstream asks other components what the order domain needs of them:
// product for goods, billing for money that goes back, auth for addresses.
package upstream
