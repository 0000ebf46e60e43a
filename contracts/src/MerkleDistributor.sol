// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";

/**
 * Pays providers what they earned. Each settled day is a batch: a root over the *cumulative* total of every account in
 * one token, from the first day on. A claim pays the difference between the account's total and what it was paid before.
 * So one claim collects all days, no root can pay twice, and nothing is lost by waiting.
 *
 * What a root promises in all is declared with it and can never be more than was ever put in. A root pays nothing until
 * its time lock has passed; until then a guardian can revoke it. The number of a revoked batch is not used again, so a
 * transaction that was signed for it can never succeed later.
 *
 * Tokens that a transfer makes fewer (fees) or that answer nothing are paid out like any other. A token whose balance
 * shrinks by itself can leave claims unpaid; the operator must not use one.
 */
contract MerkleDistributor is AccessControl, Pausable, ReentrancyGuard {
    using SafeERC20 for IERC20;

    struct Batch {
        bytes32 root;
        /// What all accounts together are promised by this batch and all before it.
        uint256 total;
        uint64 number;
        /// From this second of chain time on, the batch is in force.
        uint64 activeAt;
    }

    struct Book {
        Batch active;
        Batch pending;
        /// The highest number ever published, revoked ones included.
        uint64 lastNumber;
        uint256 claimedTotal;
        mapping(address account => uint256 amount) claimed;
    }

    /// Publishes batches.
    bytes32 public constant OPERATOR_ROLE = keccak256("OPERATOR_ROLE");
    /// Revokes batches that are not yet in force, and pauses.
    bytes32 public constant GUARDIAN_ROLE = keccak256("GUARDIAN_ROLE");
    uint64 public constant TIME_LOCK_MAX = 7 days;

    uint64 private immutable _timeLock;
    mapping(IERC20 token => Book book) private _books;

    event BatchPublished(
        IERC20 indexed token,
        uint64 indexed number,
        bytes32 indexed root,
        uint256 total,
        uint256 increase,
        bytes32 claimsHash,
        uint64 activeAt
    );
    event BatchRevoked(IERC20 indexed token, uint64 indexed number, bytes32 indexed root);
    event Claimed(IERC20 indexed token, address indexed account, uint256 paid, uint256 cumulative);
    event SurplusWithdrawn(IERC20 indexed token, address indexed to, uint256 amount);

    error TimeLockOutOfRange(uint64 timeLock);
    error RootMissing();
    error WrongBatchNumber(uint64 expected, uint64 given);
    error BatchStillLocked(uint64 number, uint64 activeAt);
    error WrongTotal(uint256 expected, uint256 given);
    error NotFunded(uint256 total, uint256 funded);
    error NothingToRevoke();
    error WrongProof();
    error NothingToClaim(uint256 cumulative, uint256 claimed);
    error PromiseExceeded(uint256 claimedTotal, uint256 total);
    error NotSurplus(uint256 amount, uint256 surplus);

    /// @param timeLock_ seconds from publishing until a batch is in force: 1 second to 7 days
    constructor(address admin, address operator, address guardian, uint64 timeLock_) {
        if (timeLock_ == 0 || timeLock_ > TIME_LOCK_MAX) revert TimeLockOutOfRange(timeLock_);
        _timeLock = timeLock_;
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _grantRole(OPERATOR_ROLE, operator);
        _grantRole(GUARDIAN_ROLE, guardian);
    }

    /**
     * Publishes the next batch of a token.
     * @param number one more than the last published number, revoked ones included
     * @param increase what this batch adds to the total in force
     * @param total the total in force plus `increase`: a batch computed on another basis is refused
     * @param claimsHash SHA-256 of the published claims file
     */
    function publish(IERC20 token, uint64 number, bytes32 root, uint256 increase, uint256 total, bytes32 claimsHash)
        external
        onlyRole(OPERATOR_ROLE)
        nonReentrant
    {
        Book storage book = _books[token];
        if (root == 0) revert RootMissing();
        if (number != book.lastNumber + 1) revert WrongBatchNumber(book.lastNumber + 1, number);
        if (book.pending.number != 0) {
            if (block.timestamp < book.pending.activeAt) {
                revert BatchStillLocked(book.pending.number, book.pending.activeAt);
            }
            book.active = book.pending;
        }
        uint256 expected = book.active.total + increase;
        if (total != expected) revert WrongTotal(expected, total);
        uint256 available = _funded(token, book);
        if (total > available) revert NotFunded(total, available);

        uint64 activeAt = uint64(block.timestamp) + _timeLock;
        book.lastNumber = number;
        book.pending = Batch({root: root, total: total, number: number, activeAt: activeAt});
        emit BatchPublished(token, number, root, total, increase, claimsHash, activeAt);
    }

    /// Takes back the batch that is waiting for its time lock. What was in force before stays in force.
    function revoke(IERC20 token, uint64 number) external onlyRole(GUARDIAN_ROLE) {
        Book storage book = _books[token];
        Batch memory pending = book.pending;
        if (number == 0 || pending.number != number || block.timestamp >= pending.activeAt) revert NothingToRevoke();
        delete book.pending;
        emit BatchRevoked(token, number, pending.root);
    }

    /**
     * Pays `account` what `cumulative` exceeds its earlier claims by. Anybody may call it; the money goes to the account.
     * @param cumulative the account's total in the batch in force
     */
    function claim(IERC20 token, address account, uint256 cumulative, bytes32[] calldata proof)
        external
        nonReentrant
        whenNotPaused
    {
        Book storage book = _books[token];
        Batch memory batch = _inForce(book);
        if (!MerkleProof.verifyCalldata(proof, batch.root, leafOf(token, account, cumulative))) revert WrongProof();
        uint256 before = book.claimed[account];
        if (cumulative <= before) revert NothingToClaim(cumulative, before);
        uint256 paid = cumulative - before;
        uint256 paidToAll = book.claimedTotal + paid;
        if (paidToAll > batch.total) revert PromiseExceeded(paidToAll, batch.total);

        book.claimed[account] = cumulative;
        book.claimedTotal = paidToAll;
        emit Claimed(token, account, paid, cumulative);
        token.safeTransfer(account, paid);
    }

    /// Sends away what no batch, in force or waiting, has promised to anyone.
    function withdrawSurplus(IERC20 token, address to, uint256 amount)
        external
        onlyRole(DEFAULT_ADMIN_ROLE)
        nonReentrant
    {
        Book storage book = _books[token];
        // A waiting batch promises at least as much as the one in force.
        uint256 promised = book.pending.number == 0 ? book.active.total : book.pending.total;
        uint256 available = _funded(token, book);
        uint256 surplus = available > promised ? available - promised : 0;
        if (amount > surplus) revert NotSurplus(amount, surplus);
        emit SurplusWithdrawn(token, to, amount);
        token.safeTransfer(to, amount);
    }

    /// Stops claims. Batches can still be published, so that a wrong one in force can be replaced.
    function pause() external onlyRole(GUARDIAN_ROLE) {
        _pause();
    }

    function unpause() external onlyRole(DEFAULT_ADMIN_ROLE) {
        _unpause();
    }

    /// The batch in force, all zero before the first.
    function batchInForce(IERC20 token) external view returns (Batch memory) {
        return _inForce(_books[token]);
    }

    /// The batch that waits for its time lock, all zero when none does.
    function batchWaiting(IERC20 token) external view returns (Batch memory) {
        Batch memory pending = _books[token].pending;
        if (block.timestamp >= pending.activeAt) delete pending;
        return pending;
    }

    /// The highest number ever published, revoked ones included.
    function lastNumber(IERC20 token) external view returns (uint64) {
        return _books[token].lastNumber;
    }

    function claimed(IERC20 token, address account) external view returns (uint256) {
        return _books[token].claimed[account];
    }

    function claimedTotal(IERC20 token) external view returns (uint256) {
        return _books[token].claimedTotal;
    }

    /// Everything ever put in, as far as it was not withdrawn as surplus: what the total of a batch may reach.
    function funded(IERC20 token) external view returns (uint256) {
        return _funded(token, _books[token]);
    }

    function timeLock() external view returns (uint64) {
        return _timeLock;
    }

    /// Hashed twice, so that no inner node of a tree can pass for a leaf.
    function leafOf(IERC20 token, address account, uint256 cumulative) public view returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(block.chainid, address(this), token, account, cumulative))));
    }

    function _inForce(Book storage book) private view returns (Batch memory) {
        Batch memory pending = book.pending;
        return pending.number != 0 && block.timestamp >= pending.activeAt ? pending : book.active;
    }

    function _funded(IERC20 token, Book storage book) private view returns (uint256) {
        return token.balanceOf(address(this)) + book.claimedTotal;
    }
}
