// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {MerkleDistributor} from "../src/MerkleDistributor.sol";
import {Test} from "./support/Test.sol";
import {Tree} from "./support/Tree.sol";

/// The leaves, roots and proofs that TypeScript makes are those that the contract accepts.
contract VectorsTest is Test {
    function test_leavesRootsAndProofsAreThoseOfTypeScript() public {
        bytes memory code = address(new MerkleDistributor(address(1), address(2), address(3), 1)).code;
        string memory json = vm.readFile("test/vectors/settlement.json");
        uint256 cases = vm.parseJsonUint(json, ".size");
        yes(cases >= 10, "there are cases");
        for (uint256 i = 0; i < cases; i++) {
            string memory place = string.concat(".cases[", vm.toString(i), "]");
            address where = vm.parseJsonAddress(json, string.concat(place, ".contract"));
            vm.etch(where, code);
            vm.chainId(vm.parseJsonUint(json, string.concat(place, ".chainId")));
            checkCase(json, place, MerkleDistributor(where));
        }
    }

    function checkCase(string memory json, string memory place, MerkleDistributor distributor) private view {
        IERC20 token = IERC20(vm.parseJsonAddress(json, string.concat(place, ".token")));
        bytes32 root = vm.parseJsonBytes32(json, string.concat(place, ".root"));
        bytes32[] memory leaves = new bytes32[](vm.parseJsonUint(json, string.concat(place, ".size")));
        for (uint256 i = 0; i < leaves.length; i++) {
            string memory leaf = string.concat(place, ".leaves[", vm.toString(i), "]");
            leaves[i] = distributor.leafOf(
                token,
                vm.parseJsonAddress(json, string.concat(leaf, ".account")),
                vm.parseJsonUint(json, string.concat(leaf, ".cumulative"))
            );
            same(leaves[i], vm.parseJsonBytes32(json, string.concat(leaf, ".leaf")), "leaf");
            bytes32[] memory proof = vm.parseJsonBytes32Array(json, string.concat(leaf, ".proof"));
            yes(MerkleProof.verify(proof, root, leaves[i]), "proof");
        }
        same(Tree.rootOf(leaves), root, "root");
    }
}
