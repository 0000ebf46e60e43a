// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {MerkleDistributor} from "../src/MerkleDistributor.sol";
import {Test} from "./support/Test.sol";
import {Tree} from "./support/Tree.sol";
import {FeeToken, MintableToken, NoReturnToken} from "./tokens/HostileTokens.sol";

/**
 * Plays everybody against the distributor in any order: an operator who funds and publishes days, a guardian who revokes
 * and pauses, accounts that claim from this day or an old one, an admin who withdraws. It keeps its own books, from what
 * it did and saw answered, and the test compares.
 */
contract DistributorHandler is Test {
    uint256 public constant ACCOUNTS = 5;
    uint64 private constant LOCK = 1 hours;

    struct Day {
        uint256[ACCOUNTS] totals;
        uint256 total;
        uint64 number;
        uint64 activeAt;
    }

    MerkleDistributor public distributor;
    IERC20[3] public tokens;
    Day[3] private _active;
    Day[3] private _pending;
    uint64[3] public lastNumber;
    uint256[3] public put;
    uint256[3] public withdrawn;
    uint256[ACCOUNTS][3] public received;
    bool public paused;

    constructor() {
        distributor = new MerkleDistributor(address(this), address(this), address(this), LOCK);
        tokens[0] = new MintableToken();
        tokens[1] = new FeeToken();
        tokens[2] = IERC20(address(new NoReturnToken()));
    }

    function fund(uint256 which, uint256 amount) external {
        which %= 3;
        amount = within(amount, 0, 1e24);
        MintableToken(address(tokens[which])).mint(address(distributor), amount);
        put[which] += amount;
    }

    function publish(uint256 which, uint256[ACCOUNTS] memory seeds) external {
        which %= 3;
        settle(which);
        Day memory day = _active[which];
        uint256 increase;
        uint256 spare = put[which] - withdrawn[which] - day.total;
        for (uint256 i = 0; i < ACCOUNTS; i++) {
            // Some days try to promise more than there is.
            uint256 more = within(seeds[i], 0, spare / (ACCOUNTS - 1));
            day.totals[i] += more;
            increase += more;
        }
        day.total += increase;
        day.number = lastNumber[which] + 1;
        bytes32 root = Tree.rootOf(leavesOf(which, day));
        bool locked = _pending[which].number != 0;
        bool allowed = !locked && increase <= spare;
        try distributor.publish(tokens[which], day.number, root, increase, day.total, root) {
            yes(allowed, "a batch was accepted that had to be refused");
            day.activeAt = uint64(block.timestamp) + LOCK;
            _pending[which] = day;
            lastNumber[which] = day.number;
        } catch {
            yes(!allowed, "a right batch was refused");
        }
    }

    function revoke(uint256 which) external {
        which %= 3;
        settle(which);
        try distributor.revoke(tokens[which], _pending[which].number) {
            yes(_pending[which].number != 0, "revoked what was not waiting");
            delete _pending[which];
        } catch {
            yes(_pending[which].number == 0, "a waiting batch was not revoked");
        }
    }

    function claim(uint256 which, uint256 account, bool fromPending) external {
        which %= 3;
        account %= ACCOUNTS;
        settle(which);
        Day memory day = fromPending ? _pending[which] : _active[which];
        uint256 amount = day.totals[account];
        uint256 before = tokens[which].balanceOf(address(distributor));
        uint256 had = received[which][account];
        bytes32[] memory proof = Tree.proofOf(leavesOf(which, day), account);
        // A waiting day whose totals happen to be those in force proves as well.
        bool proves = day.number != 0 && (!fromPending || same(which));
        try distributor.claim(tokens[which], accountOf(account), amount, proof) {
            yes(proves && amount > had && !paused, "paid what had to be refused");
            received[which][account] = amount;
            uint256 paid = before - tokens[which].balanceOf(address(distributor));
            same(paid, amount - had, "paid the difference");
        } catch {
            yes(!(proves && amount > had && !paused), "a right claim was refused");
        }
    }

    function withdrawSurplus(uint256 which, uint256 amount) external {
        which %= 3;
        uint256 surplus = put[which] - withdrawn[which] - promised(which);
        amount = within(amount, 0, surplus + 1);
        try distributor.withdrawSurplus(tokens[which], address(0xF00D), amount) {
            yes(amount <= surplus, "what was promised was withdrawn");
            withdrawn[which] += amount;
        } catch {
            yes(amount > surplus, "surplus was not paid out");
        }
    }

    function pass(uint256 time) external {
        vm.warp(block.timestamp + within(time, 1, 2 hours));
    }

    function pauseOrUnpause(uint256 chance) external {
        // Mostly open, or nothing would be claimed.
        if (paused) {
            distributor.unpause();
            paused = false;
        } else if (chance % 4 == 0) {
            distributor.pause();
            paused = true;
        }
    }

    function dayInForce(uint256 which) external view returns (uint256 total, uint64 number) {
        Day memory waiting = _pending[which];
        bool over = waiting.number != 0 && block.timestamp >= waiting.activeAt;
        return over ? (waiting.total, waiting.number) : (_active[which].total, _active[which].number);
    }

    function promised(uint256 which) public view returns (uint256) {
        return _pending[which].number != 0 ? _pending[which].total : _active[which].total;
    }

    function receivedByAll(uint256 which) external view returns (uint256 sum) {
        for (uint256 i = 0; i < ACCOUNTS; i++) {
            sum += received[which][i];
        }
    }

    function accountOf(uint256 i) public pure returns (address) {
        return address(uint160(0x9000 + i));
    }

    function settle(uint256 which) private {
        if (_pending[which].number == 0 || block.timestamp < _pending[which].activeAt) return;
        _active[which] = _pending[which];
        delete _pending[which];
    }

    function same(uint256 which) private view returns (bool) {
        for (uint256 i = 0; i < ACCOUNTS; i++) {
            if (_active[which].totals[i] != _pending[which].totals[i]) return false;
        }
        return _active[which].number != 0;
    }

    function leavesOf(uint256 which, Day memory day) private view returns (bytes32[] memory leaves) {
        leaves = new bytes32[](ACCOUNTS);
        for (uint256 i = 0; i < ACCOUNTS; i++) {
            leaves[i] = distributor.leafOf(tokens[which], accountOf(i), day.totals[i]);
        }
    }
}

contract MerkleDistributorInvariantTest is Test {
    DistributorHandler private handler;
    MerkleDistributor private distributor;

    function setUp() public {
        vm.warp(1_700_000_000);
        handler = new DistributorHandler();
        distributor = handler.distributor();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    /// Paid never exceeds funded, each account has exactly what it claimed, and every promise is covered.
    function invariant_paidIsWhatWasClaimedAndEveryPromiseIsCovered() public view {
        for (uint256 which = 0; which < 3; which++) {
            IERC20 token = handler.tokens(which);
            (uint256 total, uint64 number) = handler.dayInForce(which);
            uint256 paid = handler.receivedByAll(which);
            uint256 held = token.balanceOf(address(distributor));
            MerkleDistributor.Batch memory batch = distributor.batchInForce(token);
            same(batch.number, number, "the batch in force");
            same(batch.total, total, "the total in force");
            same(distributor.claimedTotal(token), paid, "claimed in all");
            yes(paid <= total, "no more is paid than promised");
            yes(held + paid >= handler.promised(which), "every promise is covered");
            same(held + paid + handler.withdrawn(which), handler.put(which), "nothing appears or vanishes");
            for (uint256 i = 0; i < handler.ACCOUNTS(); i++) {
                same(distributor.claimed(token, handler.accountOf(i)), handler.received(which, i), "claimed");
            }
        }
    }
}
